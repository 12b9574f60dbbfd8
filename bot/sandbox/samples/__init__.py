"""Sample datasets and documents at hand in the workspace, and the generator that wrote the datasets."""
