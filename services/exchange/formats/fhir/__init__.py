"""FHIR bundles: their Patients are registered first, then each bundle is one transaction of records."""
