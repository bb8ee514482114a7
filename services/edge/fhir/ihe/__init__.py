"""What the profiles of Integrating the Healthcare Enterprise ask of an identity registry: PIXm, PDQm's match, PMIR."""
