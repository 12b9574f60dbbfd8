"""Sample datasets at hand in the workspace, and the generator that wrote them."""
