"""What happens: rules, steps, graders, trainers and the jobs that run them. Knows models, knows no Slack."""
