package etcdengine

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestValues: a value comes back as it was put, also one that looks like something else.
func TestValues(t *testing.T) {
	for _, value := range []string{"", "x", mark, mark + "short", encode(newID(), []byte("x")), "\x00"} {
		id := newID()
		gotID, got := decode([]byte(encode(id, []byte(value))))
		require.Equal(t, id, gotID)
		require.Equal(t, value, string(got))
	}
	for _, foreign := range []string{"", "x", mark, mark + "short", "\x00"} {
		id, got := decode([]byte(foreign))
		require.Empty(t, id)
		require.Equal(t, foreign, string(got))
	}
}

// TestLeaseMark: leases have positive ids, and are told from those that etcd makes up.
func TestLeaseMark(t *testing.T) {
	seen := map[int64]bool{}
	for range 1000 {
		lease := newLease()
		require.Positive(t, lease)
		require.True(t, ours(lease))
		require.False(t, seen[lease])
		seen[lease] = true
	}
	for _, foreign := range []int64{0, 1, -1, 7587893429498478351, 1 << 62, leaseMark - 1, leaseMark + 1<<47} {
		require.False(t, ours(foreign), foreign)
	}
}

// TestNextPage: pages grow and shrink with what is in them.
func TestNextPage(t *testing.T) {
	page := func(n, size int) (p []*keyValue) {
		for range n {
			p = append(p, &keyValue{Value: make([]byte, size)})
		}
		return p
	}
	require.Equal(t, largePage, nextPage(page(firstPage, 0)))
	require.Equal(t, largePage, nextPage(page(firstPage, 10)))
	require.Equal(t, 10, nextPage(page(100, pageBytes/10-1)))
	require.Equal(t, 1, nextPage(page(1, 2*pageBytes)))
}
