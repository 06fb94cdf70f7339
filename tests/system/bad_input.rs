//! Bad input gets a clear error, names the place, and changes nothing.

use begat_tests::{Answer, Home, add_test_data, processes, write_rows};
use serde_json::json;

const BAD_INPUT: i32 = 6;
const NOT_FOUND: i32 = 3;
const AMBIGUOUS: i32 = 4;
const RUN_FAILED: i32 = 7;

#[track_caller]
fn assert_says(answer: &Answer, code: i32, words: &[&str]) {
    assert_eq!(answer.code, code, "{}{}", answer.stdout, answer.stderr);
    for word in words {
        assert!(
            answer.stderr.contains(word),
            "`{word}` is missing from:\n{}",
            answer.stderr
        );
    }
}

fn launch(home: &Home, recipe: &str) -> Answer {
    let file = home.path().join("recipe.toml");
    std::fs::write(&file, recipe).unwrap();
    home.cli()
        .run(["launch", file.to_str().unwrap(), "--follow"])
}

const TOKENIZER: &str =
    "[stages.tokenizer]\nkind = \"tokenizer\"\ninputs.corpus = \"test/corpus\"\nvocab_size = 400\n";

#[test]
fn recipes() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cycle = "[stages.a]\nkind = \"sft\"\ninputs = { model = \"@b\", dataset = \"d\" }\nmax_length = 8\n\
                 per_device_train_batch_size = 1\nlearning_rate = 1\n";
    let cycle = format!(
        "{cycle}{}",
        cycle.replace("stages.a", "stages.b").replace("@b", "@a")
    );
    assert_says(
        &launch(&home, &cycle),
        BAD_INPUT,
        &["recipe.toml:", "cycle", "@a needs @b"],
    );
    let unknown = TOKENIZER.replace("\"tokenizer\"", "\"tokeniser\"");
    assert_says(
        &launch(&home, &unknown),
        BAD_INPUT,
        &["recipe.toml:2", "tokeniser", "did you mean `tokenizer`"],
    );
    let missing = TOKENIZER.replace("test/corpus", "test/corpse");
    assert_says(
        &launch(&home, &missing),
        NOT_FOUND,
        &["test/corpse", "tokenizer"],
    );
    assert_says(
        &home.cli().run(["launch", "nowhere.toml"]),
        BAD_INPUT,
        &["nowhere.toml"],
    );
    assert_eq!(home.cli().json(["runs"]), json!([]), "nothing was run");
}

#[test]
fn an_ambiguous_prefix_lists_the_candidates() {
    let home = Home::new();
    let _daemon = home.start();
    let folder = home.path().join("many");
    let rows = (0..600).map(|at| (at, format!("{at}")));
    std::fs::create_dir(&folder).unwrap();
    for (at, text) in rows {
        std::fs::write(folder.join(format!("{at}.txt")), text).unwrap();
    }
    home.cli()
        .ok(["add", folder.to_str().unwrap(), "--name", "many"]);
    let tree = home.cli().json(["show", "many"]);
    let mut digests: Vec<&str> = tree["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["blob"].as_str().unwrap())
        .collect();
    digests.sort_unstable();
    // 600 digests share their first four digits with odds of 600²/2/65536, so that some pair does; the test says if not.
    let pair = digests
        .windows(2)
        .find(|pair| pair[0][..4] == pair[1][..4])
        .expect("two digests with one prefix");
    let answer = home.cli().run(["show", &pair[0][..4]]);
    assert_says(
        &answer,
        AMBIGUOUS,
        &[&pair[0][..12], &pair[1][..12], "blob"],
    );
}

#[test]
fn datasets() {
    let home = Home::new();
    let _daemon = home.start();
    let bad = home.path().join("bad/train.jsonl");
    write_rows(&bad, [json!({"text": "one"})]);
    let mut text = std::fs::read_to_string(&bad).unwrap();
    text.push_str("{\"text\": \"two\"\n");
    std::fs::write(&bad, text).unwrap();
    home.cli().ok([
        "add",
        bad.parent().unwrap().to_str().unwrap(),
        "--name",
        "test/corpus",
    ]);
    let answer = launch(&home, TOKENIZER);
    assert_says(&answer, RUN_FAILED, &["train.jsonl:2"]);

    std::fs::write(&bad, "").unwrap();
    home.cli().ok([
        "add",
        bad.parent().unwrap().to_str().unwrap(),
        "--name",
        "test/corpus",
    ]);
    assert_says(
        &launch(&home, TOKENIZER),
        RUN_FAILED,
        &["train.jsonl", "no rows"],
    );
}

#[test]
fn folders_with_links() {
    let home = Home::new();
    let _daemon = home.start();
    let folder = home.path().join("linked");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join("secret")).unwrap();
    let answer = home
        .cli()
        .run(["add", folder.to_str().unwrap(), "--name", "linked"]);
    assert_says(&answer, BAD_INPUT, &["secret", "link"]);
    assert_eq!(home.cli().json(["tag"]), json!([]));
}

#[test]
fn a_safetensors_file_cut_short() {
    let home = Home::new();
    let _daemon = home.start();
    add_test_data(&home);
    let cli = home.cli();
    cli.json(["launch", "configs/recipes/test/gpt.toml", "--follow"]);
    let model = home.path().join("model");
    cli.ok(["checkout", "test-gpt/pretrain", model.to_str().unwrap()]);
    let weights = model.join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    processes::make_writable(&weights);
    std::fs::write(&weights, &bytes[..bytes.len() - 100]).unwrap();
    cli.ok(["add", model.to_str().unwrap(), "--name", "cut"]);
    let sft = "[stages.sft]\nkind = \"sft\"\ninputs = { model = \"cut\", dataset = \"test/sft\" }\nmax_length = 64\n\
               per_device_train_batch_size = 4\nlearning_rate = 1e-3\n";
    assert_says(&launch(&home, sft), RUN_FAILED, &["model.safetensors"]);
    let lying = [u64::MAX.to_le_bytes().as_slice(), &bytes[8..]].concat();
    std::fs::write(&weights, lying).unwrap();
    cli.ok(["add", model.to_str().unwrap(), "--name", "cut"]);
    assert_says(&launch(&home, sft), RUN_FAILED, &["model.safetensors"]);
}

#[test]
fn a_missing_stage_program() {
    let home = Home::with_config("stage_program = \"/nowhere/begat-stage\"\n[slots]\ncpu = 1\n");
    let mut daemon = home.start();
    add_test_data(&home);
    assert_says(
        &launch(&home, TOKENIZER),
        RUN_FAILED,
        &["/nowhere/begat-stage"],
    );
    assert!(daemon.is_alive());
}

#[test]
fn a_cuda_stage_without_cuda_says_what_is_missing() {
    let home = Home::new();
    // Where there is a GPU, it is hidden.
    let _daemon = home.start_with(&[("CUDA_VISIBLE_DEVICES", "")]);
    add_test_data(&home);
    let answer = home.cli().run([
        "launch",
        "configs/recipes/test/gpt.toml",
        "--follow",
        "--set",
        "stages.pretrain.device=cuda",
    ]);
    assert_eq!(answer.code, RUN_FAILED, "{}", answer.stderr);
    let told = answer.stderr.to_lowercase();
    assert!(
        told.contains("cuda") && (told.contains("libtorch_cuda") || told.contains("gpu")),
        "{told}"
    );
}

/// A file-size limit stands in for a full disk: writes beyond it fail, short ones first, as on a disk with little room.
#[test]
fn a_full_disk_is_an_error_and_no_loss() {
    let home = Home::new();
    let daemon = home.start();
    add_test_data(&home);
    let before = home.cli().json(["tag"]);
    let (soft, hard) = (1 << 20, 1 << 20);
    processes::limit_file_size(daemon.pid(), soft, hard);
    let large = home.path().join("large.bin");
    let mut random = begat_tests::random::Random::new(1);
    let bytes: Vec<u8> = (0..1u32 << 20)
        .flat_map(|_| random.bits().to_le_bytes())
        .collect();
    std::fs::write(&large, bytes).unwrap();
    let answer = home
        .cli()
        .run(["add", large.to_str().unwrap(), "--name", "large"]);
    assert_ne!(answer.code, 0, "{}", answer.stdout);
    daemon.kill();

    let _daemon = home.start();
    assert_eq!(home.cli().json(["tag"]), before);
    assert_eq!(
        home.cli().json(["fsck", "--read-data"])["faults"],
        json!([])
    );
    home.cli()
        .ok(["add", large.to_str().unwrap(), "--name", "large"]);
}
