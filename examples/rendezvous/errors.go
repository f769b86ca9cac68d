package main

// A refusal is what a client is told that asked for something wrong, as Redis says it.
type refusal string

func (e refusal) Error() string { return string(e) }

const (
	errWrongType       = codedError("WRONGTYPE Operation against a key holding the wrong kind of value")
	errNoProtocol      = codedError("NOPROTO unsupported protocol version")
	errNoVersion       = refusal("Protocol version is not an integer or out of range")
	errSyntax          = refusal("syntax error")
	errNoInteger       = refusal("value is not an integer or out of range")
	errNotPositive     = refusal("value is out of range, must be positive")
	errOverflow        = refusal("increment or decrement would overflow")
	errExpire          = refusal("invalid expire time in 'set' command")
	errNoTimeout       = refusal("timeout is not a float or out of range")
	errNegativeTimeout = refusal("timeout is negative")
	errNoIndex         = refusal("DB index is out of range")
)

// A codedError is an error whose text begins with a code for programs. The code of others
// is ERR.
type codedError string

func (e codedError) Error() string { return string(e) }
