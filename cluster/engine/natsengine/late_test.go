package natsengine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestLateByAnyClock: deletions may be forgotten if one of the clocks says so. A machine that
// was suspended does not see it by its monotonic clock, nor one whose wall clock was set
// back by its wall clock.
func TestLateByAnyClock(t *testing.T) {
	now := time.Now()
	long := 31 * time.Minute
	for name, c := range map[string]struct {
		asked, told, server time.Time
		late                bool
	}{
		"fresh":              {now, now, now, false},
		"almost":             {now.Add(-29 * time.Minute), now, now.Add(29 * time.Minute), false},
		"both clocks here":   {now.Add(-long), now, now, true},
		"wall clock here":    {now.Round(0).Add(-long), now, now, true},
		"the server's clock": {now, now, now.Add(long), true},
		"server not asked":   {now, now, time.Time{}, false},
		"server set back":    {now, now, now.Add(-long), false},
	} {
		w := &watch{e: &Engine{markerTTL: time.Hour}, fresh: moment{asked: c.asked, time: c.told}}
		require.Equal(t, c.late, w.late(c.server), name)
		w.e.markerTTL = 0 // markers live for ever
		require.False(t, w.late(c.server), name)
	}
}

// TestGoalsReached: the watch was up to date when the newest goal was set that it has
// reached.
func TestGoalsReached(t *testing.T) {
	w := new(watch)
	at := time.Now()
	goal := func(revision uint64) moment {
		at = at.Add(time.Second)
		p := moment{asked: at}
		p.Revision = revision
		return p
	}
	first, second, third := goal(5), goal(7), goal(9)
	for _, p := range []moment{first, second, third} {
		w.aim(p)
	}
	for revision, want := range map[uint64]moment{4: {}, 5: first, 6: first, 8: second, 9: third, 20: third} {
		c := *w
		c.at.Revision = revision
		c.arrive()
		require.Equal(t, want, c.fresh, "at %d", revision)
	}
	for range 2 * maxGoals {
		w.aim(third)
	}
	require.Len(t, w.goals, maxGoals)
	w.at.Revision = 9
	w.arrive()
	require.Empty(t, w.goals)
}
