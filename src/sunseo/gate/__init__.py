"""The gate: in front of any site, it lets in who has a pass of the room.

People install it inside their own app, so that importing it is cheap: no database, no web
framework. Import `WaitingRoomMiddleware` from `gate.asgi` or `gate.wsgi`.
"""
