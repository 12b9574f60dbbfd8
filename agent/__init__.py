"""What decides: the tool-calling turn, its tools and prompts. Knows steps and proposals, no Slack, no vendor SDK."""
