package httpcaches

import (
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get returns the response to a request on a connection of its own, and its body.
func get(t *testing.T, address, path string) (*http.Response, string) {
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get("http://" + address + path)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(body)
}

func newOrigin(t *testing.T) *Origin {
	o, err := NewOrigin()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.Close()) })
	return o
}

func TestPagesOfTheOrigin(t *testing.T) {
	o := newOrigin(t)
	for _, row := range []struct {
		path         string
		status, size int
	}{
		{"/0", 200, 0},
		{"/1024/a", 200, 1024},
		{"/100000/a/b", 200, 100_000}, // more than a piece
		{"/slow/10/a", 200, 10},
		{"/", 404, 0},
		{"/-1", 404, 0},
		{"/many", 404, 0},
		{"/1073741825", 404, 0},
	} {
		res, body := get(t, o.Address, row.path)
		require.Equal(t, row.status, res.StatusCode, row.path)
		if row.status == 200 {
			require.Len(t, body, row.size, row.path)
			require.EqualValues(t, row.size, res.ContentLength, row.path)
			require.Equal(t, "max-age=3600", res.Header.Get("Cache-Control"), row.path)
		}
	}
	require.EqualValues(t, 8, o.Asked.Load())
}
