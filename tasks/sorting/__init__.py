"""What sorting texts into topics is made of: words as numbers, weights of words, a classifier, and a confidence that can be checked.

Numpy arrays in, numpy arrays out; nothing here knows rows, models, storage or a workflow. Everything that is learned can be
written down as arrays (`npz`, never pickle), so that one process learns and the others only apply.
"""
