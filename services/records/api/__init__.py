"""The RPCs of RecordsService, a module for each kind of interaction."""

from services.records.api.counting import Counting
from services.records.api.importing import Importing
from services.records.api.reading import Reading
from services.records.api.searching import Searching
from services.records.api.summarizing import Summarizing
from services.records.api.transacting import Transacting
from services.records.api.writing import Writing


class RecordsApi(Reading, Writing, Searching, Transacting, Importing, Summarizing, Counting):
    """nhip.records.v1.RecordsService."""
