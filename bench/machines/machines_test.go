package machines

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// opened returns a process that has opened its Bucket on s.
func opened(t *testing.T, s *Server) *Member {
	m, err := StartMember(MemberArgs{Address: s.Address(), Bucket: "test"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	_, err = m.Open()
	require.NoError(t, err)
	return m
}

func natsServer(t *testing.T) *Server {
	s, err := StartNATS(Unsynced)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestEachWayIsAnswered(t *testing.T) {
	nats := natsServer(t).Address
	for way, start := range map[Way]func() (*Server, error){
		Vigil: nil, Request: nil, Watch: nil, Etcd: StartEtcd, Redis: func() (*Server, error) { return StartRedis(Unsynced) },
	} {
		t.Run(string(way), func(t *testing.T) {
			address := nats
			if start != nil {
				s, err := start()
				if errors.Is(err, errors.ErrUnsupported) {
					t.Skip(err)
				}
				require.NoError(t, err)
				t.Cleanup(func() { require.NoError(t, s.Close()) })
				address = s.Address
			}
			hears, err := StartTalker(way, address(), true)
			require.NoError(t, err)
			asks, err := StartTalker(way, address(), false)
			require.NoError(t, err)
			for range 2 {
				took, err := asks.Ask(time.Millisecond)
				require.NoError(t, err)
				require.Positive(t, took.Calls)
				require.Positive(t, took.Median)
			}
			require.NoError(t, asks.Close())
			require.NoError(t, hears.Close())
		})
	}
}

func TestOpenFindsWhatWasFilled(t *testing.T) {
	s := natsServer(t)
	_, err := opened(t, s).Fill(Fill{Keys: 100, KeyBytes: 8, ValueBytes: 10, Goroutines: 8})
	require.NoError(t, err)
	m, err := StartMember(MemberArgs{Address: s.Address(), Bucket: "test"})
	require.NoError(t, err)
	o, err := m.Open()
	require.NoError(t, err)
	require.Equal(t, 100, o.Keys)
	require.NoError(t, m.Close())
}

func TestAllWaitersAreReleased(t *testing.T) {
	m := opened(t, natsServer(t))
	for _, w := range []Waits{{N: 10}, {N: 10, Own: true}, {N: 10, Parked: true}} {
		cost, err := m.Wait(w)
		require.NoError(t, err)
		require.Zero(t, cost.Goroutines)
		took, err := m.Release()
		require.NoError(t, err)
		require.Equal(t, !w.Own, took > 0)
	}
}

func TestLoadsAreCounted(t *testing.T) {
	m := opened(t, natsServer(t))
	for _, s := range []Sharing{OwnGroup, AllGroup, OwnCache, AllCached} {
		loaded, err := m.Load(Loads{Sharing: s, Name: string(s), Keys: 2, Goroutines: 2, Requests: 5, Took: time.Millisecond})
		require.NoError(t, err)
		require.Equal(t, 10, loaded.Requests)
		require.LessOrEqual(t, loaded.Loads, 10)
		require.Positive(t, loaded.Loads)
	}
}

func TestEachWriteArrives(t *testing.T) {
	s := natsServer(t)
	writer, reader := opened(t, s), opened(t, s)
	for _, rate := range []float64{0, 1000} {
		written, err := writer.Write(Writes{For: 20 * time.Millisecond, Keys: 1000, ValueBytes: 20, Goroutines: 4, Rate: rate})
		require.NoError(t, err)
		require.Positive(t, written.N)
		arrived, err := reader.Arrivals()
		require.NoError(t, err)
		require.Equal(t, written.N, arrived.Calls)
		require.Positive(t, arrived.Bytes)
	}
}

func TestAnUnknownOrderEndsTheProcess(t *testing.T) {
	other, err := start("member", MemberArgs{})
	require.NoError(t, err)
	_, err = tell[int](other, "dance", nil)
	require.ErrorContains(t, err, "dance")
	_, err = start("dancer", nil)
	require.ErrorContains(t, err, "dancer")
}
