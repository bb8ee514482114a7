"""The change feed: a service announces what it committed, others follow at their own pace."""
