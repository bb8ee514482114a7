"""What of the batch's tests this environment can run."""

from importlib.util import find_spec

# Spark and its Java are an extra of half a gigabyte; `make test-spark` installs it and runs what needs it.
collect_ignore = [] if find_spec("pyspark") else ["test_spark.py"]
