"""What codes mean: the catalogue of concepts, its value sets, and the YAML files that fill it."""
