#include <atomic>
#include <barrier>
#include <thread>

#include "base/fault_point.h"
#include "base/wire.h"
#include "services/gc/collector.h"
#include "services/gc/scheduler.h"
#include "tests/unit/services/gc/fixture.h"

namespace gantry::gc {
namespace {

constexpr int kClients = 8;

// What a pull does, as a client of containerd's does it, on the same image by every client.
class RaceTest : public CollectionTest {
 protected:
  struct Outcome {
    int imported = 0;
    int deleted = 0;
    int lost = 0;
  };

  // Has the content under the client's lease: writes it or is told that it is there.
  absl::Status Push(const std::string& lease, const std::string& data, const Labels& labels) {
    const std::string digest = Sha256(data).text();
    const content::Scope scope = {"ns", lease};
    auto writer = content_->OpenWriter(scope, "upload-" + digest + lease, 0, digest);
    if (absl::IsAlreadyExists(writer.status())) return absl::OkStatus();
    if (!writer.ok()) return writer.status();
    if (absl::Status status = (*writer)->Write(data); !status.ok()) return status;
    const absl::Status status =
        (*writer)->Commit(static_cast<int64_t>(data.size()), digest, labels).status();
    return absl::IsAlreadyExists(status) ? absl::OkStatus() : status;
  }

  absl::Status Unpack(const std::string& lease, const std::string& key) {
    const snapshots::Scope scope = {"ns", lease};
    const absl::Status prepared =
        snapshotter_->Prepare(scope, key, "", {{"containerd.io/snapshot.ref", "chain"}}).status();
    if (absl::IsAlreadyExists(prepared)) return absl::OkStatus();
    if (!prepared.ok()) return prepared;
    const absl::Status committed = snapshotter_->Commit(scope, "chain", key, {});
    if (!absl::IsAlreadyExists(committed)) return committed;
    // Another client was first: its snapshot is ours once the lease holds it.
    if (absl::Status removed = snapshotter_->Remove(scope, key); !removed.ok()) return removed;
    return Unpack(lease, key);
  }

  // Records that have nothing to do with it and take a collection a while to go through.
  void AddBystanders() {
    const absl::Status added = store_->Update([](metadata::Writer& writer) -> absl::Status {
      WireWriter value;
      value.MapEntry(4, "containerd.io/gc.root", "");  // its label, as content keeps it
      for (int i = 0; i < 4000; ++i) {
        GANTRY_RETURN_IF_ERROR(writer.Put(kContentBucket, "bystanders",
                                          Sha256(absl::StrCat(i)).text(), value.bytes()));
      }
      return absl::OkStatus();
    });
    ASSERT_TRUE(added.ok()) << added;
  }

  // Everything the image stands for, while `lease` (or the image) keeps it.
  int Lost() {
    int lost = 0;
    for (const std::string& data : {kLayer, kConfig, kManifest}) {
      auto blob = content_->Open("ns", Sha256(data));
      if (!blob.ok() || ReadFd((*blob)->fd(), 1 << 20, "blob").value_or("") != data) {
        ADD_FAILURE() << data << ": " << blob.status();
        ++lost;
      }
    }
    const auto snapshot = snapshotter_->Stat({"ns", ""}, "chain");
    if (!snapshot.ok() || snapshot->kind != snapshots::Kind::kCommitted) {
      ADD_FAILURE() << snapshot.status();
      ++lost;
    }
    return lost;
  }

  absl::Status Round(Scheduler& scheduler, int client, int round, Outcome* outcome) {
    const std::string lease = absl::StrCat("lease-", client, "-", round);
    const std::string name = absl::StrCat("image-", client);
    GANTRY_RETURN_IF_ERROR(leases_->Create("ns", {.id = lease}).status());
    GANTRY_RETURN_IF_ERROR(Push(lease, kLayer, {}));
    GANTRY_RETURN_IF_ERROR(
        Push(lease, kConfig, {{"containerd.io/gc.ref.snapshot.overlayfs", "chain"}}));
    GANTRY_RETURN_IF_ERROR(Push(lease, kManifest,
                                {{"containerd.io/gc.ref.content.config", Sha256(kConfig).text()},
                                 {"containerd.io/gc.ref.content.l.0", Sha256(kLayer).text()}}));
    GANTRY_RETURN_IF_ERROR(Unpack(lease, absl::StrCat("extract-", client, "-", round)));
    images::Image image;
    image.name = name;
    image.target = {"application/x", Sha256(kManifest).text(), 1, {}};
    GANTRY_RETURN_IF_ERROR(images_->Create("ns", image, std::nullopt).status());
    GANTRY_RETURN_IF_ERROR(leases_->Delete("ns", lease));
    ++outcome->imported;
    // Acknowledged, and held by nothing but the image, while the others delete theirs.
    for (int i = 0; i < 3; ++i) outcome->lost += Lost();
    GANTRY_RETURN_IF_ERROR(images_->Delete("ns", name, std::nullopt));
    ++outcome->deleted;
    // Every other client goes on at once, and so meets its own garbage before or while it is taken.
    if (client % 2 == 0) AwaitCollection(scheduler);
    return absl::OkStatus();
  }

  static void AwaitCollection(Scheduler& scheduler) {
    std::atomic<bool> collected = false;
    scheduler.CollectThen([&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      collected = true;
      collected.notify_one();
    });
    collected.wait(false);
  }

  inline static const std::string kLayer = std::string(5000, 'l');
  inline static const std::string kConfig = "config";
  inline static const std::string kManifest = "manifest";
};

TEST_F(RaceTest, NoAcknowledgedImageMissesAnythingWhileEightClientsImportAndDeleteIt) {
  constexpr int kRounds = 20;
  AddBystanders();
  Scheduler scheduler({.startup_delay = absl::Milliseconds(1)});
  scheduler.Start([this] { return collector_->Collect(); });
  store_->SetObserver([&](const metadata::Changes& changes) { scheduler.NoteChanges(changes); });
  // Besides those that the clients wait for, one after another without a pause.
  std::atomic<bool> stop = false;
  std::atomic<int> collections = 0;
  std::function<void(const absl::Status&)> again = [&](const absl::Status&) {
    ++collections;
    if (!stop) scheduler.CollectThen(again);
  };
  scheduler.CollectThen(again);
  std::vector<Outcome> outcomes(kClients);
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int round = 0; round < kRounds; ++round) {
        const absl::Status status = Round(scheduler, client, round, &outcomes[client]);
        ASSERT_TRUE(status.ok()) << "client " << client << " round " << round << ": " << status;
      }
    });
  }
  for (std::thread& client : clients) client.join();
  stop = true;
  store_->SetObserver(nullptr);
  scheduler.Stop();

  Outcome all;
  for (const Outcome& outcome : outcomes) {
    all.imported += outcome.imported;
    all.deleted += outcome.deleted;
    all.lost += outcome.lost;
  }
  EXPECT_EQ(all.imported, kClients * kRounds);
  EXPECT_EQ(all.lost, 0);
  std::cout << all.imported << " imports, " << all.deleted << " deletes, " << collections
            << " collections, " << all.lost << " lost\n";
  Collect();
  EXPECT_EQ(BlobFiles(), 0u);
  EXPECT_EQ(IngestDirectories(), 0u);
  EXPECT_EQ(SnapshotDirectories(), 0u);
}

// Nothing but its pin keeps a blob's file between its getting its name and its record. In each
// round one client stops there until the other seven have imported the same image and removed it
// again and a collection has taken all that they made: without pins it takes the file of the one
// that waits.
TEST_F(RaceTest, AClientThatIsSlowToRecordABlobKeepsItsFileWhileSevenOthersMakeAndDropIt) {
  constexpr int kRounds = 8;
  Scheduler scheduler({.startup_delay = absl::Milliseconds(1)});
  scheduler.Start([this] { return collector_->Collect(); });
  thread_local bool slow = false;
  std::atomic<int> waiting_in_round = -1;
  std::atomic<int> others_done = 0;
  std::atomic<int> waits = 0;
  ObserveFaultPoints([&](absl::string_view name) {
    if (name != "content.commit.named" || !std::exchange(slow, false)) return;
    ++waits;
    ++waiting_in_round;
    waiting_in_round.notify_all();
    for (int done = others_done; done < kClients - 1; done = others_done) others_done.wait(done);
    AwaitCollection(scheduler);
  });
  std::barrier together(kClients);
  std::vector<Outcome> outcomes(kClients);
  std::vector<std::thread> clients;
  for (int client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      for (int round = 0; round < kRounds; ++round) {
        slow = client == round % kClients;
        const bool was_slow = slow;
        if (!slow) waiting_in_round.wait(round - 1);
        const absl::Status status = Round(scheduler, client, round, &outcomes[client]);
        EXPECT_TRUE(status.ok()) << "client " << client << " round " << round << ": " << status;
        if (was_slow && waiting_in_round < round) {
          ADD_FAILURE() << "client " << client << " made no blob in round " << round;
          waiting_in_round = round;
          waiting_in_round.notify_all();
        }
        if (!was_slow) {
          ++others_done;
          others_done.notify_all();
        }
        together.arrive_and_wait();
        if (was_slow) {
          others_done = 0;
          AwaitCollection(scheduler);  // so that the next round has everything to make
        }
        together.arrive_and_wait();
      }
    });
  }
  for (std::thread& client : clients) client.join();
  DisarmFaults();
  scheduler.Stop();
  int lost = 0;
  for (const Outcome& outcome : outcomes) lost += outcome.lost;
  EXPECT_EQ(waits, kRounds);
  EXPECT_EQ(lost, 0);
  Collect();
  EXPECT_EQ(BlobFiles(), 0u);
}

}  // namespace
}  // namespace gantry::gc
