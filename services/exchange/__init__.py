"""Files in and out, as jobs that survive a restart at any point.

Owns    import jobs: the uploaded bytes until they are processed, progress and counts per file, every rejected row with
        its line and reason, and by which numbers each facility knows its people and visits.
Promises  each row is taken, rejected or passed over exactly once, whatever dies in between; the same file again changes
        nothing; one facility's files are processed one after the other, in the order in which they came.
        A neighbour that is down delays a job and never fails it.
Never   keeps clinical facts: what a row means goes to patient_index, records and claims by their RPCs, under ids derived
        from the row's own key; and never shows one organisation the jobs of another.
"""
