package waitmap

import (
	"context"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A fastLock is the fast half of every write. It locks the key's home group if that
// alone decides about the key and can be locked at once. A [keyLock] does the rest.
type fastLock[K comparable] struct {
	t    *table[K]
	home *group[K, wordCell]
	meta uint64 // of home, before it was locked
	mark uint64 // the live bit of the key's slot; 0 if it never had one
}

// findInHome looks for the key in its home group, without a lock.
func (e *engine[K, V]) findInHome(key K, hash uint64) (fl fastLock[K]) {
	fl.t = e.shard(hash).table.Load()
	fl.home = fl.t.home(hash)
	fl.home.touch()
	fl.meta = atomic.LoadUint64(&fl.home.meta)
	for m := match(fl.meta|liveBits, tagOf(hash)*lowBytes); m != 0; m &= m - 1 {
		if i := slotIndex(m); i < used(fl.meta) && fl.home.slot(i).key == key {
			fl.mark = m & -m
			break
		}
	}
	return fl
}

// tryLock locks the home group. It returns false if the group is locked or frozen,
// has one of the flags, or is not conclusive. After it has returned true, what
// findInHome found is still true: the key of a slot is written once, and all else is
// in the meta word, which has not changed.
func (fl *fastLock[K]) tryLock(flags uint64) bool {
	if fl.meta&(flags|metaLocked|metaFrozen) != 0 || !fl.conclusive() ||
		!atomic.CompareAndSwapUint64(&fl.home.meta, fl.meta, fl.meta|metaLocked) {
		return false
	}
	schedpoint.At(schedpoint.MapLocked)
	return true
}

// conclusive reports whether the key is in its home group or nowhere.
func (fl *fastLock[K]) conclusive() bool { return fl.mark != 0 || fl.meta&metaOverflow == 0 }

func (fl *fastLock[K]) live() bool { return fl.meta&fl.mark != 0 }

// lines reports whether keys of this home group may have waiters.
func (fl *fastLock[K]) lines() bool { return fl.meta&metaLines != 0 }

func (fl *fastLock[K]) cell() *wordCell { return &fl.home.slot(slotIndex(fl.mark)).cell }

// unlock unlocks the home group and leaves it as it was.
func (fl *fastLock[K]) unlock() { setGroup(fl.home, fl.meta) }

// valueAt returns the value of the entry, which must be live.
func (e *engine[K, V]) valueAt(fl *fastLock[K]) V {
	v, _ := unpack[V](e.cells, fl.cell().load(e.cells))
	return v
}

// storeAndUnlock stores the value and unlocks. If the home group is full, it only
// unlocks, and returns false.
func (e *engine[K, V]) storeAndUnlock(fl *fastLock[K], key K, hash uint64, c cell) bool {
	next := e.put(fl, key, hash, c)
	if next == 0 {
		fl.unlock()
		return false
	}
	e.commit(fl, next)
	return true
}

// put writes the value and returns the meta word that publishes it, or 0 if the home
// group is full.
func (e *engine[K, V]) put(fl *fastLock[K], key K, hash uint64, c cell) (next uint64) {
	switch {
	case fl.mark != 0:
		fl.cell().store(e.cells, c)
		return fl.meta | fl.mark
	case used(fl.meta) < groupSlots:
		return addEntry(fl.t.kind, fl.home, fl.meta, key, hash, c)
	default:
		return 0
	}
}

// deleteAndUnlock deletes the entry, which must be live, and unlocks.
func (e *engine[K, V]) deleteAndUnlock(fl *fastLock[K], hash uint64) {
	if e.cells != cellWords {
		fl.cell().store(e.cells, cell{})
	}
	emptied := e.commit(fl, fl.meta&^fl.mark)
	e.shard(hash).shrink(e, fl.t, emptied, &fl.home.slot(slotIndex(fl.mark)).key)
}

// commit stores the home group's next meta word, which publishes the change and
// unlocks, and counts the entries that the change added or removed. It returns what
// countEmptied does.
func (e *engine[K, V]) commit(fl *fastLock[K], next uint64) (emptied int64) {
	schedpoint.At(schedpoint.MapWritten)
	if added := liveCount(next) - liveCount(fl.meta); added != 0 {
		emptied = fl.t.countEmptied(fl.meta, next)
		setGroup(fl.home, next)
		e.count(int64(added))
		return emptied
	}
	setGroup(fl.home, next)
	return 0
}

// A keyLock is the slow half of a write: it locks a key, wherever its slot is and
// whether or not it has a line. It holds the lock of the key's home group, without
// which nothing about the key can change.
type keyLock[K comparable, V any] struct {
	s           *shard[K, V]
	t           *table[K]
	hash        uint64
	home        *group[K, wordCell]
	meta        uint64              // of home, to be stored at release
	at          *group[K, wordCell] // the group of the key's slot, nil if it never had one
	i           int                 // the slot
	live        bool
	line        *line[K, V] // the key's line; nil if there is none
	linesLocked bool        // the shard's lines are locked too
	endHold     *hold       // to be ended at release; the computing goroutine wakes its waiters after that

	taker     *waitq.Waiter[outcome[V]] // was handed v
	observers waitq.List[outcome[V]]    // out of line, to be handed v at release
	v         V
}

// lockKey locks the key, also if a computation holds it. If lines is true it locks
// the shard's lines too. Otherwise it does so only if the home group has lines.
func (e *engine[K, V]) lockKey(kl *keyLock[K, V], key K, hash uint64, lines bool) {
	kl.s, kl.hash = e.shard(hash), hash
	kl.t, kl.home, kl.meta, kl.linesLocked = kl.s.lock(e, hash, lines)
	kl.at, kl.i, kl.live = kl.t.locate(key, hash)
	if kl.linesLocked {
		kl.line = kl.s.lines.find(key, hash)
	}
}

// lockFree is lockKey for changes of the key: it first waits until no computation
// holds the key, without a limit.
func (e *engine[K, V]) lockFree(kl *keyLock[K, V], key K, hash uint64, lines bool) {
	e.lockKey(kl, key, hash, lines)
	if kl.held() {
		_ = e.lockFreeSlow(context.Background(), kl, key, hash, lines) // the context does not end
	}
}

// lockFreeContext is lockFree with a context. If the context ends first, it returns an
// error and has locked nothing.
func (e *engine[K, V]) lockFreeContext(ctx context.Context, kl *keyLock[K, V], key K, hash uint64, lines bool) error {
	e.lockKey(kl, key, hash, lines)
	if kl.held() {
		return e.lockFreeSlow(ctx, kl, key, hash, lines)
	}
	return nil
}

// held reports whether a computation holds the key.
func (kl *keyLock[K, V]) held() bool { return kl.line != nil && kl.line.hold != nil }

func (e *engine[K, V]) lockFreeSlow(ctx context.Context, kl *keyLock[K, V], key K, hash uint64, lines bool) error {
	for kl.held() {
		h := kl.line.hold
		kl.release()
		if err := e.awaitHold(ctx, &kl.s.lines.mu, h); err != nil {
			return waitq.ParkError(ctx, err)
		}
		e.lockKey(kl, key, hash, lines)
	}
	return nil
}

// open makes l the key's line.
func (kl *keyLock[K, V]) open(l *line[K, V], key K) {
	kl.line = kl.s.lines.open(l, key, kl.hash)
	kl.meta |= metaLines
}

// release unlocks the key. It also ends endHold and delivers the value to observers.
// It unlocks the home group before that, so that writers of its other keys need not
// spin for as long as a delivery takes.
func (kl *keyLock[K, V]) release() {
	if kl.linesLocked {
		kl.closeIdleLine()
	}
	schedpoint.At(schedpoint.MapWritten)
	setGroup(kl.home, kl.meta)
	if kl.linesLocked {
		if kl.taker != nil {
			kl.taker.Value.dropMap()
		}
		deliver(kl.observers, kl.v, nil)
		kl.line, kl.linesLocked, kl.endHold = nil, false, nil
		kl.s.lines.mu.Unlock()
	}
}

// closeIdleLine closes the key's line if it is not needed any more, and clears
// metaLines if the home group has no other line. While there are observers the bit
// stays set, and so the next writer of this home waits for their delivery.
func (kl *keyLock[K, V]) closeIdleLine() {
	if kl.line != nil {
		if kl.endHold != nil {
			kl.line.hold = nil
			kl.endHold.end()
		}
		kl.s.lines.dropIfIdle(&kl.line.lineHead)
	}
	if kl.observers.Front() == nil && !kl.s.lines.any(kl.t, kl.t.homeIndex(kl.hash)) {
		kl.meta &^= metaLines
	}
}

// value returns the value of the entry, which must be live.
func (kl *keyLock[K, V]) value(e *engine[K, V]) V {
	v, _ := unpack[V](e.cells, kl.cell(e))
	return v
}

// old returns what Load would return.
func (kl *keyLock[K, V]) old(e *engine[K, V]) (v V, loaded bool) {
	if kl.live {
		v = kl.value(e)
	}
	return v, kl.live
}

func (kl *keyLock[K, V]) cell(e *engine[K, V]) cell { return kl.at.slot(kl.i).cell.load(e.cells) }

// put writes the value over the old one, or into the slot that the key had before, or
// into a new slot.
func (kl *keyLock[K, V]) put(e *engine[K, V], key K, c cell) (added, ok bool) {
	if kl.at == nil {
		ok = kl.fill(e, key, c)
		return ok, ok
	}
	kl.at.slot(kl.i).cell.store(e.cells, c)
	if kl.live {
		return false, true
	}
	kl.changeMeta(kl.at, func(meta uint64) uint64 { return meta | tagLive<<tagShift(kl.i) })
	return true, true
}

// fill writes the entry into the first free slot within reach. It returns false if
// there is none.
func (kl *keyLock[K, V]) fill(e *engine[K, V], key K, c cell) bool {
	meta := kl.meta
	g := kl.home
	for range kl.t.reach {
		if used(meta) < groupSlots {
			break
		}
		kl.setMeta(g, meta|metaOverflow)
		if g == kl.home { // at once: the entry can be seen before release, and Load begins here
			atomic.StoreUint64(&g.meta, kl.meta|metaLocked)
		}
		g = g.at(1)
		meta, _ = lockGroup(g)
	}
	if used(meta) == groupSlots {
		kl.setMeta(g, meta)
		return false
	}
	next := addEntry(kl.t.kind, g, meta, key, kl.hash, c)
	kl.t.countEmptied(meta, next)
	kl.setMeta(g, next)
	return true
}

// changeMeta changes the meta word of the home group or a later one.
func (kl *keyLock[K, V]) changeMeta(g *group[K, wordCell], f func(meta uint64) uint64) (emptied int64) {
	meta := kl.meta
	if g != kl.home {
		meta, _ = lockGroup(g) // not frozen: freeze begins at home, which is locked here
	}
	next := f(meta)
	kl.setMeta(g, next)
	return kl.t.countEmptied(meta, next)
}

// setMeta sets the next meta word of g. That of the home group is stored on release.
func (kl *keyLock[K, V]) setMeta(g *group[K, wordCell], meta uint64) {
	if g == kl.home {
		kl.meta = meta
	} else {
		setGroup(g, meta)
	}
}
