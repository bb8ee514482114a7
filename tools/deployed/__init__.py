"""The sample and the journey on a platform that runs elsewhere: in a cluster, by compose, behind Tilt.

`nhip` looks after a platform of its own machine; here only an edge's address and a home directory with the platform's
secrets are known.
"""
