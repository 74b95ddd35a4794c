"""A deployment as docs/how-to/deploy.md starts it: code server, daemon and web servers as processes of their own."""
