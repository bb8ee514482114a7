"""Surveillance: sees an outbreak while it is small.

Owns    the cases of the reportable diseases, their weekly counts, and the alerts.
Follows records (which diagnoses were filed) and patient_index (who a registration is, and where the home lies).
Promises
  - one case per person, disease and episode, whatever order the feeds arrive in, however registrations are linked;
  - line list, weekly counts and standing alerts are a function of what was announced, and of nothing else;
  - a diagnosis that is refuted, changed or deleted stops counting, and stays to be read as discarded.
Never   asks another service, copies a clinical record, or decides treatment.
"""
