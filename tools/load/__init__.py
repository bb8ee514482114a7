"""Load as a day brings it: visits that arrive when they arrive, however the platform does, through its edge.

visits    what is asked for in one visit, step by step, without a transport
doors     the edges, of which those are asked that say they are ready
callers   the programs that ask, and their tokens
tally     how long answers took, and which failed
arrivals  starts them at their time
"""
