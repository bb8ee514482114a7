"""Subscriptions: what each wants and how it stands, its events, what of a change its owner may see."""
