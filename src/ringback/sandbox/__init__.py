"""Far ends of our own: virtual phones, and the sandbox carrier. They speak real SIP and RTP to the exchange."""
