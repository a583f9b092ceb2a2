"""`foretell benchmark`: the network beside gradient-boosted trees, linear models and networks of one task."""
