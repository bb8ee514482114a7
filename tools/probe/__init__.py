"""Whether a platform does what it is for: one synthetic person, in at the edge and found again.

`helm test` runs it in the cluster; it needs nothing but the image and the first administrator's credentials.
"""
