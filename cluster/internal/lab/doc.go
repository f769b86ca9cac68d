// Package lab runs a NATS cluster and its clients as processes of their own, so that they can
// be killed, stopped and cut off one by one. Tests and examples use it.
//
// All processes are copies of the program that uses the package. So [Main] must be the first
// call of its main function, or of its TestMain; in a process that a Lab has started it does
// not return:
//
//	func main() {
//		lab.Register("worker", work)
//		lab.Main()
//		l, err := lab.New(ctx, &lab.Options{Servers: 3})
//		if err != nil {
//			return err
//		}
//		defer l.Close()
//		p, err := l.Worker("alice", "worker")
//		if err != nil {
//			return err
//		}
//		p.Cut() // alice cannot reach anybody
//		...
//	}
//
//	func work(ctx context.Context, s *lab.Self) error {
//		bucket, err := cluster.Open(ctx, &cluster.Options{Addresses: s.Addresses})
//		...
//	}
//
// # Isolation
//
// With [Namespaces] each process has a network namespace of its own, with a virtual link to a bridge
// in one more namespace. A link that is cut drops what is sent, as a cable that is pulled
// does. The servers can be reached by the processes of the Lab only. This needs Linux, root and
// the command ip.
//
// With [Proxies] the processes talk over the loopback interface, through relays of TCP
// connections in the process that has the Lab. A link that is cut holds what is sent until it is healed;
// then a connection that was made meanwhile goes on.
//
// # What is left behind
//
// Close removes everything. If the process that has the Lab is killed, the processes that it has
// started end with it on Linux, and elsewhere when they notice that their standard input
// has ended. The next New removes the namespaces and directories of processes that are
// not there any more. Traffic stays on this machine.
package lab
