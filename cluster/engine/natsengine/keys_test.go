package natsengine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzKeys(f *testing.F) {
	for _, key := range []string{"", "=", "a", "a.b", "*", ">", "\x00\xff", "=41"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		token, err := encode(key)
		if err != nil {
			require.Greater(t, len(key), maxSubject/3)
			return
		}
		require.NotEmpty(t, token)
		require.False(t, strings.ContainsAny(token, ".*> \t\r\n"))
		back, ok := decode(token)
		require.True(t, ok)
		require.Equal(t, key, back)
		if back, ok := decode(key); ok { // the only token of that key
			token, err := encode(back)
			require.NoError(t, err)
			require.Equal(t, key, token)
		}
	})
}
