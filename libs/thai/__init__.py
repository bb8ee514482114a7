"""What is particular to Thailand: citizen ids, names, places, dates, facilities, identifier systems.

Pure functions; the tables lie beside the code and are read once.
"""
