"""Searches: from the parameters of a query to conditions on the index (http://hl7.org/fhir/R4/search.html).

Every parameter is either understood or refused by name; with `lenient` what is not understood is listed instead.
"""

from services.records.rules.queries.conditions import (
    DEFAULT_COUNT,
    MAX_COUNT,
    AllCondition,
    AnyCondition,
    ChainCondition,
    Condition,
    DateCondition,
    HasCondition,
    IdCondition,
    Inclusion,
    ListCondition,
    MissingCondition,
    NearCondition,
    NumberCondition,
    NumberTest,
    PersonCondition,
    Query,
    Sort,
    TextCondition,
    TokenCondition,
    TypeCondition,
)
from services.records.rules.queries.parsing import compartment_of, is_of_codes, parse_query, simple_token
from services.records.rules.queries.values import MAX_ALTERNATIVES, OF_THE_PERSON, token_parts

__all__ = [
    "DEFAULT_COUNT", "MAX_ALTERNATIVES", "MAX_COUNT", "OF_THE_PERSON", "AllCondition", "AnyCondition", "ChainCondition",
    "Condition", "DateCondition", "HasCondition", "IdCondition", "Inclusion", "ListCondition", "MissingCondition",
    "NearCondition", "NumberCondition", "NumberTest", "PersonCondition", "Query", "Sort", "TextCondition",
    "TokenCondition", "TypeCondition", "compartment_of", "is_of_codes", "parse_query", "simple_token", "token_parts",
]  # fmt: skip
