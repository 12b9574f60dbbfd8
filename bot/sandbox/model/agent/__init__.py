"""The agent's role: from what people say, what happened and what tools answered, to the next call or a short reply."""
