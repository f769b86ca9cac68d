package natsengine

import (
	"fmt"
	"strings"

	"github.com/vigil-go/vigil/cluster/engine"
)

// maxSubject is the length of the longest key in a subject. The server refuses control
// lines of more than 4096 bytes, and subject and reply share one.
const maxSubject = 2048

const hexDigits = "0123456789ABCDEF"

// plain reports whether a byte stands for itself in a subject.
func plain(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '-' || c == '_' || c == '/'
}

// encode returns key as a token of a subject: other bytes than plain ones as = and two
// digits, and the empty key as = alone. So tokens of different keys are different.
func encode(key string) (string, error) {
	if key == "" {
		return "=", nil
	}
	var b strings.Builder
	for i := range len(key) {
		if c := key[i]; plain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	if b.Len() > maxSubject {
		return "", fmt.Errorf("%w: %d bytes, of which at most %d may be left when they are encoded for a subject", engine.ErrKey, len(key), maxSubject)
	}
	return b.String(), nil
}

// decode undoes encode. It reports false for what encode does not return.
func decode(token string) (key string, ok bool) {
	if token == "=" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		c := token[i]
		switch {
		case plain(c):
		case c != '=' || i+2 >= len(token):
			return "", false
		default:
			high, low := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
			if c = byte(high<<4 | low); high < 0 || low < 0 || plain(c) {
				return "", false
			}
			i += 2
		}
		b.WriteByte(c)
	}
	return b.String(), token != ""
}
