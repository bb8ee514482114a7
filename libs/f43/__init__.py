"""The 43-file standard (v2.4.1) as data and code: 52 files, 863 columns.

`schema` tells the files and columns, `codes` the code lists, `reader` streams the rows out of a zip, `checks` judges
a row, `writer` makes a conforming zip. The reader and the writer share one schema, so what is written reads back.
"""
