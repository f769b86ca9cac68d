// Package enginetest tests that an engine keeps the contract of package engine.
package enginetest

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// A Store is a server with an empty bucket, and what a test can do to it.
type Store struct {
	// Open opens the bucket once more. The engine's connections go through a Link of
	// its own. Open closes the engine when the test ends, if it is still open.
	Open func(t *testing.T) (engine.Engine, *Link)

	// A test is skipped if what it needs is nil.

	Purge   func(t *testing.T) // removes everything from the bucket behind the engines' back
	Remake  func(t *testing.T) // removes the bucket, with its history, and makes it anew
	Restart func(t *testing.T) // stops the server and starts it with what it has stored

	// Forget makes the store forget all deletions, if it does not do so by itself.
	Forget func(t *testing.T)
}

// Run tests the engine of a store. Each call of open returns another store. If forgets is
// true, it forgets deletions after a second or a little more, or has a Forget.
func Run(t *testing.T, open func(t *testing.T, forgets bool) *Store) {
	for name, test := range map[string]func(t *testing.T, s *Store){
		"Write": testWrite, "Conflict": testConflict, "DeletedIsAbsent": testDeletedIsAbsent, "Keys": testKeys, "LargeValue": testLargeValue, "BadWrites": testBadWrites,
		"EndedContext": testEndedContext, "Closed": testClosed, "GetAtRevision": testGetAtRevision,
		"EmptyBucketIsSyncedOnce": testEmptySynced, "FullBucketIsSyncedOnce": testFullSynced, "WatchInOrder": testWatchInOrder,
		"WatchGoesOn": testWatchGoesOn, "WatchOfAnotherHistory": testWatchOfAnotherHistory, "TellMisbehaves": testTellMisbehaves,
		"StalledTellLosesNothing": testStalledTell, "HotKeySkips": testHotKey,
		"TTL": testTTL, "RenewalKeepsTTL": testRenewal,
		"LostAckIsRecognized": testLostAck, "LostAckOfCreate": testLostAckOfCreate, "LostAckOfDelete": testLostAckOfDelete,
		"LostAckAndNewerWrite": testLostAckAndNewerWrite, "LostAckAndEndedContext": testLostAckAndEnd, "LostAckAndClose": testLostAckAndClose,
		"WriteWaitsForServer":   testWriteWaits,
		"CutWatchMissesNothing": testCutWatch, "PurgedWhileCut": testPurgedWhileCut, "PurgedWhileWatching": testPurgedWhileWatching,
		"RemadeWhileCut": testRemadeWhileCut, "RemadeWhileWatching": testRemadeWhileWatching, "RestartUnderIdleWatch": testRestart,
		"RandomHistory": testRandom,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open(t, false)) })
	}
	for name, test := range map[string]func(t *testing.T, s *Store){
		"ForgottenDeletionLeavesNoPhantom": testPhantom, "ForgottenWhileTellStalls": testPhantomStalled, "ForgottenTail": testForgottenTail,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open(t, true)) })
	}
}

// do does something to the store, or skips the test.
func do(t *testing.T, what func(t *testing.T)) {
	t.Helper()
	if what == nil {
		t.Skip("the store cannot do that")
	}
	what(t)
}

// must returns the revision of a write that succeeds.
func must(t *testing.T, e engine.Engine, w engine.Write) uint64 {
	t.Helper()
	revision, err := e.Write(context.Background(), w)
	require.NoError(t, err)
	require.NotZero(t, revision)
	return revision
}

func put(key, value string) engine.Write {
	return engine.Write{Key: key, Value: []byte(value), Unconditional: true}
}

func remove(key string) engine.Write {
	return engine.Write{Key: key, Delete: true, Unconditional: true}
}

func get(t *testing.T, e engine.Engine, key string) (value string, revision uint64, ok bool) {
	t.Helper()
	entry, ok, err := e.Get(context.Background(), key, 0)
	require.NoError(t, err)
	return string(entry.Value), entry.Revision, ok
}

// eventually yields until the condition is true.
func eventually(condition func() bool) {
	for !condition() {
		runtime.Gosched()
	}
}

// A result is what a Write returns.
type result struct {
	revision uint64
	err      error
}

// start calls Write in a goroutine.
func start(ctx context.Context, e engine.Engine, w engine.Write) chan result {
	c := make(chan result, 1)
	go func() {
		revision, err := e.Write(ctx, w)
		c <- result{revision, err}
	}()
	return c
}
