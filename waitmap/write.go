package waitmap

// store is Store. Like the writes below it packs the value before it locks anything,
// because that may allocate, and tries a [fastLock] first.
func (e *engine[K, V]) store(key K, value V) {
	h, c := e.hash(key), pack(e.cells, value)
	fl := e.findInHome(key, h)
	if fl.tryLock(metaLines) && e.storeAndUnlock(&fl, key, h, c) || fl.lines() && e.deliverToOne(key, h, c, false) {
		return
	}
	e.swapSlow(key, h, c)
}

func (e *engine[K, V]) swap(key K, value V) (previous V, loaded bool) {
	h, c := e.hash(key), pack(e.cells, value)
	fl := e.findInHome(key, h)
	ok := fl.tryLock(metaLines)
	if ok && fl.live() {
		previous, loaded = e.valueAt(&fl), true
	}
	if ok && e.storeAndUnlock(&fl, key, h, c) || !fl.live() && fl.lines() && e.deliverToOne(key, h, c, true) {
		return previous, loaded
	}
	return e.swapSlow(key, h, c)
}

func (e *engine[K, V]) swapSlow(key K, hash uint64, c cell) (previous V, loaded bool) {
	for {
		var kl keyLock[K, V]
		e.lockFree(&kl, key, hash, false)
		previous, loaded = kl.old(e)
		if e.publish(&kl, key, c) {
			return previous, loaded
		}
		kl.s.replace(e, kl.t, true)
	}
}

func (e *engine[K, V]) loadOrStore(key K, value V) (actual V, loaded bool) {
	h, c := e.hash(key), pack(e.cells, value)
	fl := e.findInHome(key, h)
	ok := fl.tryLock(metaLines)
	if ok && fl.live() {
		actual = e.valueAt(&fl)
		fl.unlock()
		return actual, true
	}
	if ok && e.storeAndUnlock(&fl, key, h, c) || !fl.live() && fl.lines() && e.deliverToOne(key, h, c, true) {
		return value, false
	}
	for {
		var kl keyLock[K, V]
		e.lockFree(&kl, key, h, false)
		if kl.live {
			actual = kl.value(e)
			kl.release()
			return actual, true
		}
		if e.publish(&kl, key, c) {
			return value, false
		}
		kl.s.replace(e, kl.t, true)
	}
}

// loadAndDelete waits while a computation holds the key, or, if wait is false, does
// nothing to such a key.
func (e *engine[K, V]) loadAndDelete(key K, h uint64, wait bool) (value V, loaded bool) {
	fl := e.findInHome(key, h)
	switch {
	case !fl.live() && fl.conclusive(): // at the instant when the word was loaded
		return value, false
	case fl.tryLock(metaLines):
		value = e.valueAt(&fl)
		e.deleteAndUnlock(&fl, h)
		return value, true
	}
	var kl keyLock[K, V]
	if wait {
		e.lockFree(&kl, key, h, false)
	} else {
		e.lockKey(&kl, key, h, false)
	}
	if !kl.live || kl.held() {
		kl.release()
		return value, false
	}
	value = kl.value(e)
	e.remove(&kl)
	return value, true
}

// lockEqual is lockFree for a key whose value is equal to old. Otherwise it returns
// false and holds nothing. Comparing boxed values may panic, so they are compared with
// nothing locked. Afterwards the key must still have the same box.
func lockEqual[K, V comparable](e *engine[K, V], kl *keyLock[K, V], key K, hash uint64, old V) bool {
	var box cell // its value is equal to old
	for {
		e.lockFree(kl, key, hash, false)
		if !kl.live {
			kl.release()
			return false
		}
		c := kl.cell(e)
		if e.cells != cellBoxes && equal(e, c, old) || c.ptr != nil && c == box {
			return true
		}
		kl.release()
		if e.cells != cellBoxes || !equal(e, c, old) {
			return false
		}
		box = c
	}
}

func equal[K, V comparable](e *engine[K, V], c cell, old V) bool {
	v, _ := unpack[V](e.cells, c)
	return v == old
}

// publish stores the value, delivers it to the waiters of the key, and releases kl. If
// the table has no room, it only releases kl and returns false. The caller then replaces
// the table and tries again.
func (e *engine[K, V]) publish(kl *keyLock[K, V], key K, c cell) bool {
	if kl.line != nil {
		return e.publishToLine(kl, key, c)
	}
	added, ok := kl.put(e, key, c)
	kl.release()
	if added {
		e.count(1)
	}
	return ok
}

// remove deletes the entry, which must be live, and releases kl.
func (e *engine[K, V]) remove(kl *keyLock[K, V]) {
	emptied := kl.changeMeta(kl.at, func(meta uint64) uint64 { return meta &^ (tagLive << tagShift(kl.i)) })
	if e.cells != cellWords {
		kl.at.slot(kl.i).cell.store(e.cells, cell{})
	}
	t, s, key := kl.t, kl.s, &kl.at.slot(kl.i).key
	kl.release()
	e.count(-1)
	s.shrink(e, t, emptied, key)
}
