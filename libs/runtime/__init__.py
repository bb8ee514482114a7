"""The life of a service process, and the stages that every call passes."""
