#!/usr/bin/env python3
"""Generate one equivalent sweep pipeline for a given engine.

  gen.py ENGINE N DIR

Pipeline: src.txt -> N x train_i (param p=i) -> N x eval_i -> collect.  2N+1 stages.
Every stage is a trivial POSIX-sh command that reads its input and writes one small file.
"""
import os, sys, pathlib, textwrap

TRAIN = 'read x < src.txt; echo "train p={i} $x" > train/{i}.txt'
EVAL = 'read x < train/{i}.txt; echo "eval {i} $x" > eval/{i}.txt'
COLLECT = 'cat eval/*.txt > all.txt'


def w(p, s):
    p = pathlib.Path(p)
    p.parent.mkdir(parents=True, exist_ok=True)
    p.write_text(s)


def gen_make(n, d):
    L = ['ALL:=all.txt', 'all: $(ALL)', '']
    for i in range(n):
        t = TRAIN.format(i=i).replace('$x', '$$x')
        e = EVAL.format(i=i).replace('$x', '$$x')
        L += [f'train/{i}.txt: src.txt', '\t@' + t, f'eval/{i}.txt: train/{i}.txt', '\t@' + e]
    L += ['all.txt: ' + ' '.join(f'eval/{i}.txt' for i in range(n)), '\t@' + COLLECT, '']
    w(d / 'Makefile', '\n'.join(L))


def gen_ninja(n, d):
    L = ['rule sh', '  command = $cmd', '']
    for i in range(n):
        t = TRAIN.format(i=i).replace('$x', '$$x')
        e = EVAL.format(i=i).replace('$x', '$$x')
        L += [f'build train/{i}.txt: sh src.txt', f'  cmd = {t}', f'build eval/{i}.txt: sh train/{i}.txt', f'  cmd = {e}']
    L += ['build all.txt: sh ' + ' '.join(f'eval/{i}.txt' for i in range(n)), '  cmd = ' + COLLECT, 'default all.txt', '']
    w(d / 'build.ninja', '\n'.join(L))


def gen_dvc(n, d):
    # matrix is the modern DVC sweep form; params tracked from params.yaml per point
    L = ['stages:', '  train:', '    matrix:', '      i:']
    L += [f'        - {i}' for i in range(n)]
    L += ["    cmd: 'read x < src.txt; echo \"train p=${item.i} $x\" > train/${item.i}.txt'",
          '    deps: [src.txt]', '    outs: ["train/${item.i}.txt"]',
          '  eval:', '    matrix:', '      i:']
    L += [f'        - {i}' for i in range(n)]
    L += ["    cmd: 'read x < train/${item.i}.txt; echo \"eval ${item.i} $x\" > eval/${item.i}.txt'",
          '    deps: ["train/${item.i}.txt"]', '    outs: ["eval/${item.i}.txt"]',
          '  collect:', "    cmd: 'cat eval/*.txt > all.txt'", '    deps:']
    L += [f'      - eval/{i}.txt' for i in range(n)]
    L += ['    outs: [all.txt]', '']
    w(d / 'dvc.yaml', '\n'.join(L))


def gen_snakemake(n, d):
    w(d / 'Snakefile', textwrap.dedent(f'''\
        N = {n}
        shell.executable("/bin/sh"); shell.prefix("")
        rule all:
            input: "all.txt"
        rule train:
            input: "src.txt"
            output: "train/{{i}}.txt"
            params: p=lambda wc: int(wc.i)
            shell: 'read x < src.txt; echo "train p={{params.p}} $x" > {{output}}'
        rule eval:
            input: "train/{{i}}.txt"
            output: "eval/{{i}}.txt"
            shell: 'read x < {{input}}; echo "eval {{wildcards.i}} $x" > {{output}}'
        rule collect:
            input: expand("eval/{{i}}.txt", i=range(N))
            output: "all.txt"
            shell: 'cat eval/*.txt > all.txt'
        '''))


def gen_gotask(n, d):
    L = ["version: '3'", 'method: checksum', 'silent: true', 'tasks:']
    for i in range(n):
        L += [f'  t{i}:', '    sources: [src.txt]', f'    generates: [train/{i}.txt]', "    cmds:", "      - '" + TRAIN.format(i=i) + "'",
              f'  e{i}:', f'    deps: [t{i}]', f'    sources: [train/{i}.txt]', f'    generates: [eval/{i}.txt]', "    cmds:", "      - '" + EVAL.format(i=i) + "'"]
    L += ['  default:', '    deps: [' + ', '.join(f'e{i}' for i in range(n)) + ']', '    sources: ["eval/*.txt"]', '    generates: [all.txt]', '    cmds:', "      - '" + COLLECT + "'", '']
    w(d / 'Taskfile.yml', '\n'.join(L))


def gen_redun(n, d):
    w(d / 'workflow.py', textwrap.dedent(f'''\
        import subprocess
        from redun import task, File
        redun_namespace = "bench"
        N = {n}
        def sh(c): subprocess.run(["/bin/sh", "-c", c], check=True)
        @task()
        def train(src: File, i: int) -> File:
            sh(f'read x < src.txt; echo "train p={{i}} $x" > train/{{i}}.txt'); return File(f"train/{{i}}.txt")
        @task()
        def ev(t: File, i: int) -> File:
            sh(f'read x < train/{{i}}.txt; echo "eval {{i}} $x" > eval/{{i}}.txt'); return File(f"eval/{{i}}.txt")
        @task()
        def collect(es: list) -> File:
            sh('cat eval/*.txt > all.txt'); return File("all.txt")
        @task()
        def main() -> File:
            src = File("src.txt")
            return collect([ev(train(src, i), i) for i in range(N)])
        '''))


def gen_doit(n, d):
    w(d / 'dodo.py', textwrap.dedent(f'''\
        DOIT_CONFIG = dict(default_tasks=["collect"], verbosity=0)
        N = {n}
        def task_train():
            for i in range(N):
                yield dict(name=str(i), actions=[f'read x < src.txt; echo "train p={{i}} $x" > train/{{i}}.txt'], file_dep=["src.txt"], targets=[f"train/{{i}}.txt"])
        def task_eval():
            for i in range(N):
                yield dict(name=str(i), actions=[f'read x < train/{{i}}.txt; echo "eval {{i}} $x" > eval/{{i}}.txt'], file_dep=[f"train/{{i}}.txt"], targets=[f"eval/{{i}}.txt"])
        def task_collect():
            return dict(actions=["cat eval/*.txt > all.txt"], file_dep=[f"eval/{{i}}.txt" for i in range(N)], targets=["all.txt"])
        '''))


def gen_regft(n, d):
    w(d / 'spec.yaml', textwrap.dedent(f'''\
        version: 1
        name: bench
        sweep: {{axes: {{i: {list(range(n))}}}}}
        stages:
          train:
            uses: exec
            with:
              command: [sh, -c, 'read x < inputs/src; echo "train p=${{sweep.i}} $x" > out.txt']
              inputs: {{src: src.txt}}
              outputs: {{out: out.txt}}
          eval:
            uses: exec
            with:
              command: [sh, -c, 'read x < inputs/train; echo "eval ${{sweep.i}} $x" > out.txt']
              inputs: {{train: "${{stages.train}}"}}
              outputs: {{out: out.txt}}
          collect:
            uses: exec
            gather: [i]
            with:
              command: [sh, -c, 'cat inputs/eval/* > all.txt']
              inputs: {{eval: "${{stages.eval}}"}}
              outputs: {{all: all.txt}}
        '''))


def gen_nextflow(n, d):
    w(d / 'main.nf', textwrap.dedent(f'''\
        process train {{
          input: tuple val(i), path(src)
          output: tuple val(i), path("t_${{i}}.txt")
          script:
          """
          read x < $src; echo "train p=$i \\$x" > t_${{i}}.txt
          """
        }}
        process evaluate {{
          input: tuple val(i), path(t)
          output: path("e_${{i}}.txt")
          script:
          """
          read x < $t; echo "eval $i \\$x" > e_${{i}}.txt
          """
        }}
        process collect_all {{
          input: path(es)
          output: path("all.txt")
          script:
          """
          cat e_*.txt > all.txt
          """
        }}
        workflow {{
          pts = Channel.of(0..{n - 1}).combine(Channel.fromPath("src.txt"))
          collect_all(evaluate(train(pts)).collect())
        }}
        '''))


GENS = {k[4:]: v for k, v in globals().items() if k.startswith('gen_')}


def generate(engine, n, d):
    d = pathlib.Path(d)
    d.mkdir(parents=True, exist_ok=True)
    (d / 'train').mkdir(exist_ok=True)
    (d / 'eval').mkdir(exist_ok=True)
    w(d / 'src.txt', 'hello\n')
    GENS[engine](n, d)


if __name__ == '__main__':
    generate(sys.argv[1], int(sys.argv[2]), sys.argv[3])
