"""The RPCs of exchange, one method per use-case."""

from services.exchange.api.bulk_imports import BulkImportApi
from services.exchange.api.exports import ExportApi
from services.exchange.api.imports import FEED, ExchangeApi

__all__ = ["FEED", "BulkImportApi", "ExchangeApi", "ExportApi"]
