package load

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnswersArriveInPieces(t *testing.T) {
	var a answer
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\ncontent-LENGTH: 5\r\nDate: today\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length:0\r\n\r\n",
	} {
		for size := range len(text) {
			a.begin()
			for rest := []byte(text); len(rest) > 0; {
				n := min(size+1, len(rest))
				whole, err := a.take(rest[:n])
				require.NoError(t, err)
				rest = rest[n:]
				require.Equal(t, len(rest) == 0, whole)
			}
		}
	}
}

func TestOtherAnswersAreErrors(t *testing.T) {
	for text, says := range map[string]string{
		"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n":   "status 200",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n": "without Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n":       "without Content-Length",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab":        "bytes after the end",
	} {
		var a answer
		a.begin()
		_, err := a.take([]byte(text))
		require.ErrorContains(t, err, says)
	}
}
