package main

import (
	"context"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// calls are functions of package ring's that need more than their constants do.
var calls = map[string]probe{
	"CloneBuffersOffset": func(l *lab) finding {
		return told(l.registrar().CloneBuffersOffset(l.buffered(), 0, 1, 1, 0))
	},
	"PrepCloseDirect": func(l *lab) finding {
		l.must(registerFile(l, l.registrar()))
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepCloseDirect(0) })))
	},
	// Where the field is not looked at, the length is 0: then no advice is bad, and
	// no memory is missing.
	"PrepFadvise64": try(func(l *lab, s *ring.SQE) { s.PrepFadvise64(l.file(), 0, 1, unix.FADV_NORMAL) }),
	"PrepMadvise64": func(l *lab) finding {
		p, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
		l.must(err)
		l.onEnd(func() { unix.Munmap(p) })
		p[0] = 1
		c := l.do(func(s *ring.SQE) { s.PrepMadvise64(p, unix.MADV_DONTNEED) })
		return saw(p[0] == 0, "memory let go", c)
	},
	"PrepSendmsgZCFixed": func(l *lab) finding {
		p := l.bytes(8)
		l.must(l.registrar().RegisterBuffers([][]byte{p}))
		m := pointed(l, unix.Msghdr{Iov: &l.iovec(p)[0]})
		m.SetIovlen(1)
		return taken(errno(l.do(func(s *ring.SQE) { s.PrepSendmsgZCFixed(l.udp(), m, 0, 0) })))
	},
	"PrepSendto": func(l *lab) finding { // a connected socket sends elsewhere
		from, to := l.udp(), l.datagrams()
		at, err := unix.Getsockname(to)
		l.must(err)
		raw := pointed(l, unix.RawSockaddrAny{})
		inet := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		inet.Family, inet.Addr = unix.AF_INET, [4]byte{127, 0, 0, 1}
		binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&inet.Port))[:], uint16(at.(*unix.SockaddrInet4).Port))
		c := l.do(func(s *ring.SQE) { s.PrepSendto(from, l.bytes(1), 0, raw, unix.SizeofSockaddrInet4) })
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(to), Events: unix.POLLIN}}, 0)
		return saw(n == 1 && err == nil, "a byte that was sent elsewhere", c)
	},
	"SetWriteStream": func(*lab) finding { return finding{unclear, "needs a device with streams: others ignore it"} },
}

// face is what package uringwake offers: done, or unsupported, in a goroutine and
// in a task.
var face = map[string]func(ctx context.Context, l *lab) error{
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
	"EventFD": func(ctx context.Context, _ *lab) error {
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

// tryFace does it in a goroutine and in a task. The end of its context is neither
// done nor unsupported: a hang.
func tryFace(f func(ctx context.Context, l *lab) error) probe {
	return func(l *lab) finding {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		here := faceTold(f(ctx, l))
		loop, err := uringwake.NewLoop(nil)
		l.must(err)
		defer loop.Close(ctx)
		answers := make(chan finding, 1)
		l.must(loop.Go(ctx, func(ctx context.Context) {
			inTask := new(lab)
			defer inTask.end()
			answers <- faceTold(f(ctx, inTask))
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
