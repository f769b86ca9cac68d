package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// A trial calls a function of package uringwake's, and returns its error.
type trial func(ctx context.Context, l *lab) error

// face has the functions of api.go and runtime.go.
var face = map[string]trial{
	"Supported":       func(context.Context, *lab) error { return uringwake.Supported() },
	"HaveMsgRing":     func(context.Context, *lab) error { return uringwake.HaveMsgRing() },
	"HaveSendMsgRing": func(context.Context, *lab) error { return uringwake.HaveSendMsgRing() },
	"HaveFutex":       func(context.Context, *lab) error { return uringwake.HaveFutex() },
	"Nop":             func(ctx context.Context, _ *lab) error { return uringwake.Nop(ctx) },
	"Sleep":           func(ctx context.Context, _ *lab) error { return uringwake.Sleep(ctx, time.Microsecond) },
	"Read": func(ctx context.Context, l *lab) error {
		r, w := l.pipe()
		time.AfterFunc(time.Millisecond, func() { unix.Write(w, []byte("x")) })
		_, err := uringwake.Read(ctx, r, l.bytes(1), -1)
		return err
	},
	"Write": func(ctx context.Context, l *lab) error {
		_, err := uringwake.Write(ctx, l.file(), l.bytes(1), 0)
		return err
	},
	"PollFD": func(ctx context.Context, l *lab) error {
		r, w := l.pipe()
		time.AfterFunc(time.Millisecond, func() { unix.Write(w, []byte("x")) })
		_, err := uringwake.PollFD(ctx, r, unix.POLLIN)
		return err
	},
	"Close": func(ctx context.Context, l *lab) error {
		fd, err := unix.Dup(l.file())
		l.must(err)
		return uringwake.Close(ctx, fd)
	},
	"FutexWait": func(ctx context.Context, l *lab) error {
		addr := pointed(l, atomic.Uint32{})
		for woken := make(chan error, 1); ; {
			ctx, stop := context.WithTimeout(ctx, time.Second)
			go func() { _, err := uringwake.FutexWake(context.Background(), addr, 1); woken <- err }()
			err := uringwake.FutexWait(ctx, addr, 0)
			stop()
			<-woken
			if !errors.Is(err, context.DeadlineExceeded) { // it may have been woken before it slept
				return err
			}
		}
	},
	"FutexWake": func(ctx context.Context, l *lab) error {
		_, err := uringwake.FutexWake(ctx, pointed(l, atomic.Uint32{}), 1)
		return err
	},
	"NewMsgRing": func(ctx context.Context, l *lab) error { // and its message arrives
		m, err := uringwake.NewMsgRing(l.ring().FD(), 1, 2)
		if err != nil {
			return err
		}
		m.Wake()
		uringwake.Blocking(ctx, func() { _, err = l.ring().CQ().WaitTimeout(1, patience) })
		return errors.Join(err, m.Err(), m.Close())
	},
	"NewLoop": func(ctx context.Context, _ *lab) (err error) {
		uringwake.Blocking(ctx, func() { err = ringLoops(ctx) })
		return err
	},
	"NewRuntime": func(ctx context.Context, _ *lab) error { return closed(ctx)(uringwake.NewRuntime(nil)) },
	"Default":    func(ctx context.Context, _ *lab) error { return closed(ctx)(uringwake.Default()) },
	"NewEventFD": func(ctx context.Context, _ *lab) error {
		e, err := uringwake.NewEventFD()
		if err != nil {
			return err
		}
		defer e.Close()
		time.AfterFunc(time.Millisecond, e.Wake)
		_, err = e.Wait(ctx)
		return err
	},
}

// ringLoops wakes a sleeping loop by each doorbell.
func ringLoops(ctx context.Context) error {
	for _, bell := range []uringwake.Doorbell{uringwake.DoorbellAuto, uringwake.DoorbellEventFD, uringwake.DoorbellMsgRing} {
		loop, err := uringwake.NewLoop(&uringwake.LoopOptions{Doorbell: bell, SpinFor: -1})
		if err != nil {
			return err
		}
		rung := make(chan struct{})
		time.AfterFunc(time.Millisecond, func() { loop.Post(func() { close(rung) }) })
		select {
		case <-rung:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := loop.Close(context.Background()); err != nil {
			return err
		}
	}
	return nil
}

// closed returns what closes a runtime that was made.
func closed(ctx context.Context) func(r *uringwake.Runtime, err error) error {
	return func(r *uringwake.Runtime, err error) error {
		if err != nil {
			return err
		}
		return r.Close(ctx)
	}
}

// tryFace calls f in a goroutine and in a task. The end of its context is neither
// done nor unsupported: a hang.
func tryFace(f trial) probe {
	return func(l *lab) finding {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		here := faceTold(f(ctx, l))
		loop, err := uringwake.NewLoop(nil)
		l.must(err)
		defer loop.Close(ctx)
		answers := make(chan finding, 1)
		l.must(loop.Go(ctx, func(ctx context.Context) {
			answers <- ended(func(l *lab) finding { return faceTold(f(ctx, l)) })
		}))
		if there := <-answers; there != here {
			return finding{unclear, "goroutine: " + here.how + "; task: " + there.how}
		}
		return here
	}
}

func faceTold(err error) finding {
	switch {
	case err == nil:
		return finding{yes, ""}
	case errors.Is(err, errors.ErrUnsupported):
		return finding{no, err.Error()}
	}
	return finding{unclear, err.Error()}
}
