"""The product's own stand-in for Slack: a Web API, events, interactions and a page for people, on one port.

The bot reaches it only as it reaches Slack: Web API calls to `SLACK_API_URL` and signed HTTP to its request URL. There
is no path that only a test can take. Start reading at `app.py`.
"""
