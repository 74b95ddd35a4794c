"""What happens to a deployment from outside: processes that are killed."""
