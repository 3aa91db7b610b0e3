"""The pages about users, keys and the audit trail."""
