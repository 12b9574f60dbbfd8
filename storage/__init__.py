"""What rests: frozen records and where they are kept. Knows Redis and S3, knows no rules."""
