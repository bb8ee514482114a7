"""Reads the files in which publishers give out code systems, maps and interaction tables."""

from tools.terminology.forms import FORMS, rows_of
from tools.terminology.reading import Source, SourceError

__all__ = ["FORMS", "Source", "SourceError", "rows_of"]
