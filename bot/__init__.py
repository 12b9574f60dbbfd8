"""What people see: Slack in, cards out."""
