"""OpenAPI 3.1 of everything that the edge serves, made from the descriptors."""
