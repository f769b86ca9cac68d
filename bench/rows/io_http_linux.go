package rows

import (
	"fmt"

	"github.com/vigil-go/vigil/bench/load"
	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/server"
)

func helloRow() Row {
	return Row{
		Name:  "io/http",
		Title: "net/http over loopback",
		About: "A handler of net/http answers \"hello\", to one request after the other on each of that many connections. net/http " +
			"serves each connection in a goroutine, whoever made it. Processes, client and figures are those of io/echo.",
		Base: byNet,
		jobs: func(set *Settings) []Job {
			counts := []int{1, 64, 1024}
			if set.Quick {
				counts = []int{8}
			}
			var contests []contest
			for _, conns := range counts {
				contests = append(contests, helloContest(set, conns))
			}
			return contestJobs(set, serverFigures("request"), contests)
		},
	}
}

func helloContest(set *Settings, conns int) contest {
	of := crowd{conns: conns, batch: 1, script: sayHello}
	return contest{
		name: fmt.Sprint("hello/", conns),
		measure: func() (scores, []string) {
			return of.measure(set, []rival{
				set.inGo(byNet, server.HelloNet),
				set.inGo(inGoroutines, server.HelloGoroutines),
			})
		},
		aims: func(figure string, series []measure.Series) []string {
			if figure != cpuFigure {
				return nil
			}
			return []string{share{inGoroutines, byNet, 1}.note(series)}
		},
	}
}

func sayHello(address string) load.Script {
	request := []byte("GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	answer, err := load.Ask(address, request, "hello")
	mustNot(err)
	return load.Same(request, answer)
}
