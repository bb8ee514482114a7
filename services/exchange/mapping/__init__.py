"""What the rows of the 43 and 16 files, and foreign FHIR, mean in the platform's terms.

Pure functions: a row that was found sound goes in, with what is known of its person and visit; resources, registrations,
rights and claims come out. The same row gives the same thing, so that sending it again changes nothing.
"""
